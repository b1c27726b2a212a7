-- Full-text search over messages. An answer that is still streaming is indexed once, when it ends.

CREATE VIRTUAL TABLE messages_search USING fts5 (
  content, content = 'messages', content_rowid = 'message_id', tokenize = "unicode61 remove_diacritics 2"
);

CREATE TRIGGER messages_search_insert AFTER INSERT ON messages WHEN NEW.state <> 'streaming'
BEGIN
  INSERT INTO messages_search (rowid, content) VALUES (NEW.message_id, NEW.content);
END;

CREATE TRIGGER messages_search_remove AFTER DELETE ON messages WHEN OLD.state <> 'streaming'
BEGIN
  INSERT INTO messages_search (messages_search, rowid, content) VALUES ('delete', OLD.message_id, OLD.content);
END;

CREATE TRIGGER messages_search_finish AFTER UPDATE OF content, state ON messages
  WHEN OLD.state = 'streaming' AND NEW.state <> 'streaming'
BEGIN
  INSERT INTO messages_search (rowid, content) VALUES (NEW.message_id, NEW.content);
END;

CREATE TRIGGER messages_search_change AFTER UPDATE OF content, state ON messages WHEN OLD.state <> 'streaming'
BEGIN
  INSERT INTO messages_search (messages_search, rowid, content) VALUES ('delete', OLD.message_id, OLD.content);
  INSERT INTO messages_search (rowid, content) VALUES (NEW.message_id, NEW.content);
END;

INSERT INTO messages_search (rowid, content)
  SELECT message_id, content FROM messages WHERE state <> 'streaming';
