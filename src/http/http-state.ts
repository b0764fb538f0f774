import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import type { TaskState } from "../call/task-state.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { ApiKind } from "../define/handle-type.js";
import type { EntryCaller } from "../handle/call-target.js";
import type { FileStore } from "../held/file-store.js";
import type { ReadContext } from "../options/app-file.js";
import type { HttpSettings } from "../options/settings.js";
import type { Certificate } from "./certificate.js";
import type { Connection } from "./connection.js";
import type { ConnectionRoom } from "./exchange.js";
import type { HostCheck } from "./host-check.js";
import { createInputForm, type InputForm } from "./input-form.js";
import { createOutputForm, type OutputForm } from "./output-form.js";
import type { BodyLimits } from "./read-bytes.js";
import type { StreamWatch } from "./streams/stream-watch.js";

/** State that all requests of one server share. */
export interface HttpState {
  readonly settings: HttpSettings;
  readonly caller: EntryCaller;
  /** Finds a task of an api that the app no longer has. */
  readonly findFormerTask: ((id: string) => Promise<FormerTask | undefined>) | undefined;
  /** Finds out who is asking, for each request to an api; absent: nobody asks. */
  readonly context: ReadContext | undefined;
  /** Called for each request that is answered with a failure before it reached an api. */
  readonly onRefusal: (status: number, failureId: string) => void;
  readonly log: Logger;
  readonly time: CallTime;
  readonly limits: BodyLimits;
  /** Folder for large bodies; absent: bodies stay in memory. */
  readonly files: FileStore | undefined;
  /** Ends idle requests whose body or answer is a stream. */
  readonly streams: StreamWatch;
  /** Open connections, in use or not. */
  readonly sockets: Set<Connection>;
  /** Absent: the server speaks plain HTTP. */
  readonly certificate: Certificate | undefined;
  /** Decides which connections are kept. */
  readonly room: ConnectionRoom;
  /** Set when the server listens on this machine alone, or has a list of names. */
  hosts: HostCheck | undefined;
  /** Requests whose response is not out yet. */
  inFlight: number;
  /** Set once, when the server begins to drain. */
  isClosing: boolean;
}

/** One api as the HTTP server serves it, with everything that is prepared before the first request. */
export interface ApiRoute {
  readonly service: string;
  readonly name: string;
  readonly kind: ApiKind;
  /** True when a task is only submitted and its result is not awaited. */
  readonly submits: boolean;
  /** Status of an answer, if the contract has one. */
  readonly status: number | undefined;
  readonly path: string;
  readonly input: InputForm;
  readonly output: OutputForm;
  readonly descriptor: ApiDescriptor;
}

/** Prepares an api of the entry service for serving. */
export function createApiRoute(service: string, descriptor: ApiDescriptor): ApiRoute {
  const { name, kind, route, contract } = descriptor;
  const input = createInputForm(contract.input);
  const output = createOutputForm(descriptor);
  return { service, name, kind, submits: false, status: contract.status, path: route, input, output, descriptor };
}

/** A task that was submitted to an api which the app no longer has. */
export interface FormerTask {
  readonly service: string;
  readonly api: string;
  readonly state: TaskState;
  /** @throws {ServingError} The failure of the task; `task_api_gone` for a task that has not ended. */
  result(): Promise<unknown>;
  cancel(): Promise<TaskState>;
}
