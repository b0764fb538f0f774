declare module "autocannon" {
  interface Options {
    url: string;
    method: "POST";
    headers: Record<string, string>;
    body: string;
    connections: number;
    /** Seconds. */
    duration: number;
  }
  interface Result {
    non2xx: number;
    errors: number;
    duration: number;
    "2xx": number;
  }
  export default function autocannon(options: Options): Promise<Result>;
}
