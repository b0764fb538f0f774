import { chmodSync, copyFileSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../fixtures/edge");

/** Path of a certificate or key that `fixtures/edge/make.sh` has made. */
export const edgeFixture = (name: string): string => join(folder, name);

/** Certificates of a side, as options. @param ca Default `"ca"`. */
export const certificatesOf = (name: string, ca: string | null = "ca") => ({
  cert: edgeFixture(`${name}.pem`),
  key: edgeFixture(`${name}.key`),
  ...(ca !== null && { ca: edgeFixture(`${ca}.pem`) }),
});

/** Two keys that are long and random enough. */
export const [firstKey, secondKey] = [
  "nM4oT7w1vQ9xZ2bK8cY5rH3jL6pD0sF+aG1eU4iXkVw=",
  "qW9eR5tY1uI7oP3aS6dF2gH8jK4lZ0xC/vB5nM1QwErT=",
] as const;

/** Folder with files that a test may change. */
export class EdgeFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "ekiben-edge-"));
  #changes = 0;

  /** Writes a file that only its owner may read. @returns Its path. */
  write(name: string, text: string, mode = 0o600): string {
    const path = join(this.path, name);
    writeFileSync(path, text, { mode });
    return this.#touch(path);
  }

  /** Copies a fixture over a file. @returns Its path. */
  copy(fixture: string, name = fixture): string {
    const path = join(this.path, name);
    copyFileSync(edgeFixture(fixture), path);
    chmodSync(path, 0o600);
    return this.#touch(path);
  }

  /** Gives each version a time of its own: two within one tick of the kernel would have the same. */
  #touch(path: string): string {
    const time = new Date(Date.now() + ++this.#changes * 1_000);
    utimesSync(path, time, time);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
