/** What a client knows of one turn that it asked for, again and again with the same key until it was answered. */
export interface Asked {
  readonly session: string;
  /** Of its own: no other turn says the same. */
  readonly text: string;
  /** Clock of the client, ms: when it first asked. */
  readonly askedAt: number;
  /** When it was answered, and with what; undefined when it gave up. */
  readonly answered: { readonly at: number; readonly text: string } | undefined;
}

/** A message as a transcript shows it. */
export interface Said {
  readonly position: number;
  readonly role: string;
  readonly content: string;
  readonly state: string;
}

/** What the model says to a text; the same each time. */
export const answerTo = (text: string) => `answer to ${text}`;

/**
 * What is wrong with transcripts, given what their clients know: a turn that was answered and is lost, doubled, out of order
 * or stands there with another answer. In the spirit of Jepsen: whoever was answered before another one asked comes first.
 *
 * @param transcripts the whole of each session, in order
 */
export function faultsOf(
  history: readonly Asked[],
  transcripts: ReadonlyMap<string, readonly Said[]>,
): string[] {
  const faults: string[] = [];
  for (const [session, said] of transcripts) {
    const asked = history.filter((each) => each.session === session);
    for (const [index, { position }] of said.entries())
      if (position !== index + 1) faults.push(`${session}: position ${position} stands at ${index + 1}`);
    const places = new Map<string, number>();
    for (const [index, message] of said.entries()) {
      if (message.role !== 'user') continue;
      if (places.has(message.content)) faults.push(`${session}: "${message.content}" stands there twice`);
      places.set(message.content, index);
      if (!asked.some(({ text }) => text === message.content))
        faults.push(`${session}: nobody said "${message.content}"`);
    }
    for (const { text, answered } of asked) {
      if (answered === undefined) continue;
      const place = places.get(text);
      if (place === undefined) {
        faults.push(`${session}: "${text}" was answered and is lost`);
        continue;
      }
      const answer = said[place + 1];
      if (answer?.role !== 'assistant' || answer.content !== answered.text || answer.state !== 'complete')
        faults.push(
          `${session}: "${text}" was answered with "${answered.text}", behind it is ${JSON.stringify(answer)}`,
        );
      if (answered.text !== answerTo(text)) faults.push(`${session}: "${text}" got "${answered.text}"`);
      for (const later of asked) {
        const other = places.get(later.text);
        if (other !== undefined && later.askedAt > answered.at && other < place)
          faults.push(
            `${session}: "${later.text}" was asked after "${text}" was answered, and stands before it`,
          );
      }
    }
  }
  for (const { session, answered } of history)
    if (answered !== undefined && !transcripts.has(session)) faults.push(`${session}: the session is lost`);
  return faults;
}

/** Where a client may ask. */
export interface Asks {
  say(session: string, text: string, headers: Record<string, string>): Promise<Response>;
}

/**
 * Asks a turn until it is answered, each time of the next core.
 *
 * @param next gives the core to ask now
 * @param over whether to give up
 */
export async function askUntilAnswered(
  session: string,
  text: string,
  next: () => Asks,
  over: () => boolean,
): Promise<Asked> {
  const askedAt = performance.now();
  while (!over()) {
    const answer = await next()
      .say(session, text, { 'idempotency-key': text })
      .then(async (response) => ({ status: response.status, body: await response.text() }))
      .catch(() => ({ status: 0, body: '' }));
    if (answer.status === 200) {
      const { choices } = JSON.parse(answer.body) as { choices: [{ message: { content: string } }] };
      const at = performance.now();
      return { session, text, askedAt, answered: { at, text: choices[0].message.content } };
    }
    // A core that is gone refuses at once: without a pause the client would only spin.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { session, text, askedAt, answered: undefined };
}
