import type { LanguageIdentifier as Cld3 } from "cld3-asm";

/** Language of a text as a BCP 47 code, and the confidence of the network (0 to 1). */
export interface IdentifiedLanguage {
  readonly language: string;
  readonly probability: number;
}

const maxBytes = 700;
/** The package gives up after 3 s, which is too soon while other models load beside it on a busy machine. */
const loadTimeoutMs = 60_000;

/** Tells the language of a text: Compact Language Detector v3, WebAssembly. About 0.2 ms a text. */
export class LanguageModel {
  readonly #identifier: Cld3;

  private constructor(identifier: Cld3) {
    this.#identifier = identifier;
  }

  static async load(): Promise<LanguageModel> {
    const { loadModule } = await import("cld3-asm");
    const factory = await loadModule({ timeout: loadTimeoutMs });
    return new LanguageModel(factory.create(0, maxBytes));
  }

  identify(text: string): IdentifiedLanguage {
    const { language, probability } = this.#identifier.findLanguage(text);
    return { language, probability };
  }

  /** Frees the memory of the WebAssembly instance. */
  dispose(): void {
    this.#identifier.dispose();
  }
}
