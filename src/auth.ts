export { anyOf, type Identify } from "./auth/any-of.js";
export { type ApiKeysOptions, apiKeys, type KeyContext } from "./auth/api-keys.js";
export { type JwtContext, type JwtOptions, jwt } from "./auth/jwt.js";
