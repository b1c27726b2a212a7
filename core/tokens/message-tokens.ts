/** The size of one message in a prompt, with the marks of the chat template around it. */
export interface MessageTokens {
  readonly tokens: number;
  /** Which tokenizer counted them; another one has to count again. */
  readonly tokenizer: string;
}
