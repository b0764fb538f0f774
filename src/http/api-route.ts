/** One api as the edge serves it: what can be prepared before the first request. */
export interface ApiRoute {
  readonly service: string;
  readonly name: string;
  readonly path: string;
  readonly hasInput: boolean;
}
