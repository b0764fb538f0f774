type Value = string | number | Uint8Array;

/** Used part of the two SQLite drivers, which have the same synchronous methods. */
interface Connection {
  exec(sql: string): void;
  prepare(sql: string): {
    run(...values: Value[]): { readonly lastInsertRowid: number | bigint };
    all(...values: Value[]): unknown[];
  };
  close(): void;
}

/** A document in the library. */
export interface StoredDocument {
  readonly id: number;
  readonly title: string;
  readonly passages: number;
}

export interface StoredPassage {
  readonly id: number;
  readonly title: string;
  readonly text: string;
  readonly vector: Float32Array;
}

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS documents (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    vector BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS passages_of_document ON passages (document);
`;

const passageColumns = "passages.id, documents.title, passages.text, passages.vector";
const passageTables = "passages JOIN documents ON documents.id = passages.document";

/**
 * Documents, their passages and the vectors of these, in one SQLite file.
 *
 * Every search reads all vectors, 2 KiB each: fine for some ten thousand passages. Beyond, use an index for vectors.
 */
export class Database {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
    connection.exec(schema);
  }

  /** Opens or creates a file, by the SQLite in Node or, on a Node without it, by libsql. */
  static async open(file: string): Promise<Database> {
    const open = await loadDriver();
    return new Database(open(file));
  }

  /** Stores a document; all of it or, after an error, nothing. */
  addDocument(title: string, passages: readonly { readonly text: string; readonly vector: Float32Array }[]): number {
    this.#connection.exec("BEGIN IMMEDIATE");
    try {
      const { lastInsertRowid } = this.#connection.prepare("INSERT INTO documents (title) VALUES (?)").run(title);
      const insert = this.#connection.prepare("INSERT INTO passages (document, text, vector) VALUES (?, ?, ?)");
      for (const { text, vector } of passages) insert.run(Number(lastInsertRowid), text, toBytes(vector));
      this.#connection.exec("COMMIT");
      return Number(lastInsertRowid);
    } catch (error) {
      this.#connection.exec("ROLLBACK");
      throw error;
    }
  }

  listDocuments(): StoredDocument[] {
    return this.#connection
      .prepare(
        `SELECT documents.id, documents.title, count(passages.id) AS passages
         FROM documents LEFT JOIN passages ON passages.document = documents.id
         GROUP BY documents.id ORDER BY documents.id`,
      )
      .all()
      .map((row) => ({ ...(row as StoredDocument) }));
  }

  listPassages(): StoredPassage[] {
    return this.#connection.prepare(`SELECT ${passageColumns} FROM ${passageTables}`).all().map(toPassage);
  }

  listPassagesOf(document: number): StoredPassage[] {
    return this.#connection
      .prepare(`SELECT ${passageColumns} FROM ${passageTables} WHERE document = ?`)
      .all(document)
      .map(toPassage);
  }

  setVector(passage: number, vector: Float32Array): void {
    this.#connection.prepare("UPDATE passages SET vector = ? WHERE id = ?").run(toBytes(vector), passage);
  }

  close(): void {
    this.#connection.close();
  }
}

async function loadDriver(): Promise<(file: string) => Connection> {
  // Asked for by a name in a variable: the types of Node 20 do not know this module.
  const builtIn = "node:sqlite";
  try {
    const { DatabaseSync } = (await import(builtIn)) as { DatabaseSync: new (file: string) => Connection };
    return (file) => new DatabaseSync(file);
  } catch {
    const { default: Libsql } = await import("libsql");
    return (file) => new Libsql(file) as unknown as Connection;
  }
}

function toPassage(row: unknown): StoredPassage {
  const { vector, ...passage } = row as Omit<StoredPassage, "vector"> & { readonly vector: Uint8Array | ArrayBuffer };
  // libsql gives a buffer. The bytes that Node gives are copied, since they may begin where no float may.
  return { ...passage, vector: new Float32Array(new Uint8Array(vector).buffer) };
}

function toBytes({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
