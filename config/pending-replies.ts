/** Questions to another thread that have no reply yet, by number. */
export class PendingReplies<Value> {
  readonly #waiting = new Map<number, PromiseWithResolvers<Value>>();
  #lastId = 0;

  /** How many have no reply. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Sends a question.
   *
   * @param send gets the number that the reply has to name
   * @returns the reply; rejects with what `refuse` or `refuseAll` is given
   */
  ask(send: (id: number) => void): Promise<Value> {
    const id = ++this.#lastId;
    const reply = Promise.withResolvers<Value>();
    this.#waiting.set(id, reply);
    send(id);
    return reply.promise;
  }

  resolve(id: number, value: Value): void {
    this.#take(id)?.resolve(value);
  }

  refuse(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  /** The other thread is gone: nobody will reply any more. */
  refuseAll(error: Error): void {
    for (const reply of this.#waiting.values()) reply.reject(error);
    this.#waiting.clear();
  }

  #take(id: number): PromiseWithResolvers<Value> | undefined {
    const reply = this.#waiting.get(id);
    this.#waiting.delete(id);
    return reply;
  }
}
