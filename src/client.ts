export type { TaskFailure, TaskState } from "./call/task-state.js";
export type { Client, ClientCallOptions, Received } from "./client/client-type.js";
export { client, connect } from "./client/connect.js";
export type { ConnectOptions, FailureOrigin } from "./client/endpoint.js";
export { type DType, type DTypes, Tensor } from "./define/tensor.js";
export type { FailureId } from "./failure/failures.js";
export type { Code } from "./failure/serving-error.js";
export { ServingError } from "./failure/serving-error.js";
