/** Takes the data of server-sent events out of a text that comes in pieces. */
export class EventLines {
  #rest = '';

  /** The data of each event that is complete. @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
  add(text: string): string[] {
    this.#rest += text;
    const found: string[] = [];
    for (let end = this.#rest.indexOf('\n\n'); end !== -1; end = this.#rest.indexOf('\n\n')) {
      const lines = this.#rest.slice(0, end).split('\n');
      this.#rest = this.#rest.slice(end + 2);
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart());
      if (data.length > 0) found.push(data.join('\n'));
    }
    return found;
  }
}
