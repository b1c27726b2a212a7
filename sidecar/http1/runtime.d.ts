/** What Node offers and its published types leave out. */

declare module 'undici/lib/llhttp/llhttp_simd-wasm.js' {
  const wasm: Buffer;
  export default wasm;
}

interface Buffer {
  /** `toString('latin1', start, end)` without the choice of an encoding. */
  latin1Slice(start?: number, end?: number): string;
  /** `write(text, offset, length, 'latin1')` without the choice of an encoding. */
  latin1Write(text: string, offset?: number, length?: number): number;
}

declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, (...numbers: number[]) => number>>);
    readonly exports: Record<string, unknown>;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
}
