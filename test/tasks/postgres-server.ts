import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

/** Folder in which Debian keeps the programs of each version. It is not in the path. */
const debianFolder = "/usr/lib/postgresql";

/** Returns the folder of PostgreSQL's programs; `undefined` when it is not installed. */
export function findPostgres(): string | undefined {
  const versions = existsSync(debianFolder) ? readdirSync(debianFolder) : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(debianFolder, version, "bin"));
  const path = (process.env["PATH"] ?? "").split(delimiter);
  return [...newest, ...path].find((folder) => ["initdb", "postgres"].every((name) => existsSync(join(folder, name))));
}

/** User for the server: PostgreSQL refuses to run as root, and Debian's package creates a user. */
function findUser(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: idOf("-u"), gid: idOf("-g") };
}

/** Script that runs a command until it gets a signal, or until its own parent has ended in any way. */
const untilInputEnds = '"$@" </dev/null & read -r signal || signal=QUIT; kill -"$signal" $!; wait $!; exit 0';

export interface ServerOptions {
  /** True when commits wait for the disk. Tests that do not cut the power need not wait. */
  readonly fsync: boolean;
}

/** PostgreSQL server for one test, in a temporary folder, reached by a Unix socket. */
export class PostgresServer {
  readonly folder: string;
  readonly #programs: string;
  readonly #user = findUser();
  readonly #options: ServerOptions;
  #process: ChildProcess | undefined;
  #schemas = 0;

  private constructor(programs: string, options: ServerOptions) {
    this.#programs = programs;
    this.#options = options;
    this.folder = mkdtempSync(join(tmpdir(), "ekiben-pg-"));
    const { uid, gid } = this.#user;
    if (uid !== undefined && gid !== undefined) chownSync(this.folder, uid, gid);
  }

  static async start(programs: string, options: ServerOptions = { fsync: false }): Promise<PostgresServer> {
    const server = new PostgresServer(programs, options);
    const form = ["--username=ekiben", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    execFileSync(join(programs, "initdb"), ["--pgdata", join(server.folder, "data"), ...form], {
      ...server.#user,
      cwd: server.folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    await server.start();
    return server;
  }

  /** Makes the URL of the database, with a schema of its own if one is named. */
  url(schema?: string): string {
    const place = new URLSearchParams({ host: this.folder, user: "ekiben" });
    if (schema !== undefined) place.set("options", `-c search_path=${schema}`);
    return `postgres:///postgres?${place}`;
  }

  /** Creates an empty schema. @returns Its URL. */
  createSchema(): string {
    const name = `s${++this.#schemas}`;
    this.query(`CREATE SCHEMA ${name}`);
    return this.url(name);
  }

  /** Runs a statement. @returns Its result, as psql prints it. */
  query(text: string): string {
    const where = ["--host", this.folder, "--username=ekiben", "--dbname=postgres"];
    const form = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
    return execFileSync(join(this.#programs, "psql"), [...where, ...form, "--command", text], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  }

  async start(): Promise<void> {
    const settings = {
      listen_addresses: "",
      unix_socket_directories: this.folder,
      max_connections: "200",
      fsync: this.#options.fsync ? "on" : "off",
    };
    const given = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const command = [join(this.#programs, "postgres"), "-D", join(this.folder, "data"), ...given];
    const child = spawn("sh", ["-c", untilInputEnds, "sh", ...command], {
      ...this.#user,
      cwd: this.folder,
      stdio: ["pipe", "ignore", "pipe"],
    });
    this.#process = child;
    const said: string[] = [];
    for await (const line of createInterface(child.stderr as NonNullable<typeof child.stderr>)) {
      said.push(line);
      if (line.includes("ready to accept connections")) {
        child.stderr?.resume();
        return;
      }
    }
    throw new Error(`postgres did not start:\n${said.join("\n")}`);
  }

  /** Ends the server. @param signal SIGINT ends it in order, SIGQUIT at once like a failure of the machine. */
  async stop(signal: "SIGINT" | "SIGQUIT" = "SIGINT"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return;
    const exited = once(child, "exit");
    child.stdin?.end(`${signal.slice("SIG".length)}\n`);
    await exited;
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
