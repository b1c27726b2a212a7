/** The tokenizers that ship with this program, by the names that llm_models.yaml uses. */
export const shippedVocabularies = ['qwen2.5', 'llama3.2', 'phi3'] as const;

export type ShippedVocabulary = (typeof shippedVocabularies)[number];

/** Whether a name is one of them; anything else is the path of a folder. */
export function isShippedVocabulary(name: string): name is ShippedVocabulary {
  return (shippedVocabularies as readonly string[]).includes(name);
}
