// Three services in a row, each in a process of its own. JavaScript, because it starts in a tenth of the time.
import { spawn } from "node:child_process";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const output = z.any();
const where = { output };

export class Last extends Service() {
  start() {
    const { AT_START } = process.env;
    if (AT_START === "exit") process.exit(7);
    if (AT_START !== "wait") return undefined;
    console.error(`starting in ${process.pid}`);
    return new Promise((resolve) => setTimeout(resolve, 1e6));
  }
  where = api(where, () => process.pid);
  /** Answers when its process gets SIGUSR2. Tests use it to hold a call in flight while nothing else can be called. */
  hold = api({ output }, async () => {
    const released = new Promise((resolve) => process.once("SIGUSR2", resolve));
    console.error(`holding in ${process.pid}`);
    await released;
    return "held to the end";
  });
  /** Leaves a process behind whose parent ends at once. */
  orphan = api({ output }, async () => {
    const shell = spawn("sh", ["-c", "true & exit 0"], { stdio: "ignore", detached: true });
    return new Promise((resolve) => shell.on("exit", resolve));
  });
  crash = api({ output }, () => process.kill(process.pid, "SIGKILL"));
  echo = api({ input: output, output }, (value) => value);
  stop() {
    console.error("stop of Last");
  }
}

export class Middle extends Service() {
  last = depends(Last);
  // Calls once more after the answer has arrived: its callee must accept calls for as long as this service does.
  hold = api({ output }, async () => this.last.echo(await this.last.hold()));
  where = api(where, () => process.pid);
  stop() {
    console.error("stop of Middle");
  }
}

export class First extends Service() {
  middle = depends(Middle);
  last = depends(Last);
  hold = api({ output }, () => this.middle.hold());
  where = api(where, async () => [process.pid, await this.middle.where(), await this.last.where()]);
  orphan = api({ output }, () => this.last.orphan());
  crash = api({ output }, () => this.last.crash());
  stop() {
    console.error("stop of First");
  }
}
