/**
 * The tokenizers that ship with this program, by the names that llm_models.yaml uses: those with an open licence. (Llama's, and
 * Phi-3's, which is made of it, are Meta's.)
 */
export const shippedVocabularies = ['qwen2.5'] as const;

export type ShippedVocabulary = (typeof shippedVocabularies)[number];

/** Whether a name is one of them; anything else is the path of a folder. */
export function isShippedVocabulary(name: string): name is ShippedVocabulary {
  return (shippedVocabularies as readonly string[]).includes(name);
}
