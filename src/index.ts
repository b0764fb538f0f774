export { serve } from "./app/serve.js";
export type { ServeOptions, Server } from "./app/serve-options.js";
export type { Logger } from "./base/logger.js";
export type { Caller } from "./call/call.js";
export type { CurrentCall } from "./call/call-scope.js";
export { currentCall } from "./call/current-call.js";
export type { TraceContext } from "./call/request-context.js";
export { api } from "./define/api.js";
export type { ContractOptions } from "./define/contract.js";
export { depends, type EdgeOptions, type ServiceClass } from "./define/depends.js";
export { type FileOptions, file } from "./define/file.js";
export type { Api, CallOptions, Handle, MaybePromise, StreamApi } from "./define/handle-type.js";
export type { GrantedResources, ServiceHooks, StartContext } from "./define/lifecycle.js";
export type { InputOf, OutputOf, Schema, Shape } from "./define/schema.js";
export {
  type HttpOptions,
  type Placement,
  type Replicas,
  type Resources,
  Service,
  type ServiceOptions,
} from "./define/service.js";
export { type DType, type DTypes, Tensor } from "./define/tensor.js";
export { type TensorOptions, type TensorSchema, tensor } from "./define/tensor-schema.js";
export type { Code } from "./failure/codes.js";
export type { FailureId } from "./failure/failures.js";
export { ServingError, type ServingErrorInit } from "./failure/serving-error.js";
export type { AppFile } from "./options/app-file.js";
export type { OnProgress, Progress } from "./supervisor/progress.js";
