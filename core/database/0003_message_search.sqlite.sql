-- Full-text search over messages. The index holds no copy of their text.

CREATE VIRTUAL TABLE messages_search USING fts5 (
  content, content = 'messages', content_rowid = 'message_id', tokenize = "unicode61 remove_diacritics 2"
);

CREATE TRIGGER messages_search_insert AFTER INSERT ON messages
BEGIN
  INSERT INTO messages_search (rowid, content) VALUES (NEW.message_id, NEW.content);
END;

CREATE TRIGGER messages_search_remove AFTER DELETE ON messages
BEGIN
  INSERT INTO messages_search (messages_search, rowid, content) VALUES ('delete', OLD.message_id, OLD.content);
END;

INSERT INTO messages_search (rowid, content) SELECT message_id, content FROM messages;
