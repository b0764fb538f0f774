export { run } from "./app/run.js";
export type { RunningApp, RunOptions } from "./app/running-app.js";
export { serve } from "./app/serve.js";
export type { ServeOptions, Server } from "./app/start-server.js";
export type { Logger } from "./base/logger.js";
export type { Caller, Priority, TraceContext } from "./call/call.js";
export type { CallContext, Register } from "./call/call-context.js";
export type { CallResponse, CookieOptions } from "./call/call-response.js";
export { currentCall, once } from "./call/invoke.js";
export type { CurrentCall } from "./call/running-call.js";
export type { TaskFailure, TaskState, TaskStatus } from "./call/task-state.js";
export { api, type TaskContractOptions, task } from "./define/api.js";
export type { CacheOptions } from "./define/cache-options.js";
export type { BatchOptions, ContractOptions } from "./define/contract.js";
export { depends, type EdgeOptions, type ServiceClass } from "./define/depends.js";
export { type FileOptions, file } from "./define/file.js";
export type {
  Api,
  CallOptions,
  Handle,
  Inside,
  MaybePromise,
  MaybePromises,
  StreamApi,
  Task,
  TaskMethods,
} from "./define/handle-type.js";
export type { EdgeInterceptor, IncomingCall, Interceptor, OutgoingCall } from "./define/interceptor.js";
export { type Model, type ModelOptions, model } from "./define/model.js";
export { type RateLimitOptions, rateLimit } from "./define/rate-limit.js";
export { resource } from "./define/resource.js";
export type { InputOf, OutputOf, Schema, Shape } from "./define/schema.js";
export { type StreamSchema, stream } from "./define/schema.js";
export type { GrantedResources, ServiceHooks, StartContext } from "./define/service.js";
export { Service, type ServiceOptions } from "./define/service.js";
export { concat, row, stack } from "./define/stack.js";
export { type DType, type DTypes, Tensor } from "./define/tensor.js";
export { type TensorOptions, type TensorSchema, tensor } from "./define/tensor-schema.js";
export type { FailureId } from "./failure/failures.js";
export type { Code } from "./failure/serving-error.js";
export { ServingError, type ServingErrorInit } from "./failure/serving-error.js";
export type {
  AppFile,
  ContextOf,
  ContextRequest,
  CredentialPlace,
  HttpOptions,
  Placement,
  ReadContext,
  Resources,
} from "./options/app-file.js";
export { type Secret, secret } from "./options/secret.js";
export type { Replicas } from "./options/value-types.js";
export type { AppEvent, OnAppEvent } from "./supervisor/replica-state.js";
