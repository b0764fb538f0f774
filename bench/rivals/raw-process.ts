// The other side of the raw limit by process: echoes frames on a Unix socket.   raw-process.ts <socket>
import { createServer } from "node:net";
import { decodeMessage, encodeMessage, receiveFrames, sendFrame } from "./raw-frames.ts";

const server = createServer((socket) => {
  receiveFrames(socket, (id, body) => sendFrame(socket, id, encodeMessage(decodeMessage(body))));
  socket.on("error", () => {});
});
server.listen(process.argv[2], () => process.send?.("ready"));
process.on("disconnect", () => process.exit());
