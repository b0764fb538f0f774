declare module "autocannon" {
  interface Options {
    url: string;
    /** Bodies, sent in turn by each connection. */
    requests: readonly { method: "POST"; headers: Record<string, string>; body: string }[];
    connections: number;
    /** Duration in seconds. */
    duration: number;
    /** Time limit of an answer, in seconds. */
    timeout: number;
  }
  interface Result {
    non2xx: number;
    errors: number;
    duration: number;
    "2xx": number;
    /** Latencies in milliseconds. */
    latency: { p50: number; p99: number };
  }
  export default function autocannon(options: Options): Promise<Result>;
}
