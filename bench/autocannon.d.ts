declare module "autocannon" {
  interface Options {
    url: string;
    /** Sent in turn by each connection. */
    requests: readonly { method: "POST"; headers: Record<string, string>; body: string }[];
    connections: number;
    /** Seconds. */
    duration: number;
    /** Seconds without an answer. */
    timeout: number;
  }
  interface Result {
    non2xx: number;
    errors: number;
    duration: number;
    "2xx": number;
    /** Milliseconds. */
    latency: { p50: number; p99: number };
  }
  export default function autocannon(options: Options): Promise<Result>;
}
