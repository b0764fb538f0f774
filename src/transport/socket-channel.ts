import type { Socket } from "node:net";
import { countBytes } from "../base/new-bytes.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { FileStore } from "../held/file-store.js";
import { type Channel, type ChannelReader, framesTogether } from "./channel.js";
import { checkFrameSize, type Frame, FrameReader, frameBound, frameKinds, writeFrame } from "./frame.js";
import { SlabReader, SlabWriter } from "./slab-writer.js";
import { TailReceiver, TailSender } from "./tail-sender.js";

/** Bytes of the buffer in which frames of one turn are gathered, to be written at once. */
const gatherBytes = 64 * 1024;

/** Spare buffers to gather in: as many as wait while a reader is busy for a moment. */
const maxSpare = 16;

/** Frames over a socket: a Unix socket between two processes of one machine, TLS or TCP between two apps. */
export class SocketChannel implements Channel {
  readonly #socket: Socket;
  /** True where `write` encrypts at once, so that the written buffer may be filled again. */
  readonly #copiesAtOnce: boolean;
  readonly #frames: FrameReader = new FrameReader(
    (frame) => this.#receive(frame),
    (number, byteLength) => {
      this.#hasReleases = true;
      return this.#receiver.read(number, byteLength);
    },
  );
  readonly files: FileStore | undefined;
  readonly #sender: TailSender;
  readonly #receiver: TailReceiver;
  /** Set when a tail was taken whose release the other side waits for. */
  #hasReleases = false;
  #gathered: Buffer = Buffer.allocUnsafeSlow(gatherBytes);
  /** Buffers given to the kernel and not yet taken by it, in order. */
  readonly #unwritten: Buffer[] = [];
  readonly #spare: Buffer[] = [];
  readonly #onWritten = () => {
    const written = this.#unwritten.shift();
    if (written !== undefined && this.#spare.length < maxSpare) this.#spare.push(written);
  };
  #length = 0;
  #isScheduled = false;
  #together = 0;
  #hasWritten = false;
  /** True when nothing more is sent: the channel was closed, or a frame can't be read. */
  #isClosed = false;
  #isEnded = false;
  #reader: ChannelReader | undefined;
  #reason: ServingError | undefined;
  /** Bytes that had to wait and were taken, those taken in all, and whether some waited, at the last look. */
  #drained = 0;
  #taken = 0;
  #wasBehind = false;

  /**
   * @param slabFolder Folder for large tails as files in memory; absent: they go through the socket.
   * @param files Store of this process for the largest values, and for those it receives; absent: none.
   */
  constructor(socket: Socket, slabFolder: string | undefined, files?: FileStore) {
    this.#socket = socket;
    this.#copiesAtOnce = (socket as { readonly encrypted?: boolean }).encrypted === true;
    this.files = files;
    const slabs = slabFolder === undefined ? undefined : new SlabWriter(slabFolder, undefined, files?.fullMemory);
    this.#sender = new TailSender(slabs, files);
    this.#receiver = new TailReceiver(new SlabReader(slabFolder), files);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength + this.#length;
  }

  readProgress(): number {
    const { bytesRead, bytesWritten, writableLength } = this.#socket;
    const taken = bytesWritten - writableLength;
    // Bytes that leave at once say nothing of the other side; those that had to wait show that it reads.
    if (this.#wasBehind) this.#drained += taken - this.#taken;
    this.#taken = taken;
    this.#wasBehind = writableLength > 0;
    return bytesRead + this.#drained;
  }

  limitFrames(maxBytes: number): void {
    this.#frames.maxBytes = maxBytes;
  }

  open(reader: ChannelReader): void {
    this.#reader = reader;
    this.#socket.on("data", (chunk) => {
      try {
        this.#frames.push(chunk);
      } catch (error) {
        this.#break(error);
        return;
      }
      this.#release();
    });
    // "close" follows every error of the connection; the calls on it are lost in either case.
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#end());
  }

  send(frame: Frame): boolean {
    if (this.#isClosed) return false;
    checkFrameSize(frame, this.files !== undefined);
    if (frame.tails.length === 0) this.#append(frame, undefined);
    else this.#sendTails(frame);
    return true;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    this.#socket.end();
  }

  cut(reason: ServingError): void {
    this.#break(reason);
  }

  #receive(frame: Frame): void {
    if (frame.kind === frameKinds.slab) this.#addSlab(frame);
    else if (frame.kind === frameKinds.release) this.#sender.release(frame);
    else if (frame.kind === frameKinds.file) this.#receiveFile(frame);
    else this.#reader?.receive(frame);
  }

  /** Frames keep their order: the frames after an author's file are read once the file is open. */
  #receiveFile(frame: Frame): void {
    this.#hasReleases = true;
    const opening = this.#receiver.add(frame);
    if (opening === undefined) return;
    this.#frames.hold();
    this.#socket.pause();
    opening
      .then(() => {
        if (this.#isEnded) return;
        this.#frames.resume();
        this.#release();
        this.#socket.resume();
      })
      .catch((error: unknown) => this.#break(error));
  }

  /** Announces a new slab or file before the frame that uses it. */
  #sendTails(frame: Frame): void {
    const { numbers, tails } = this.#sender.place(frame, (announcement) => this.#append(announcement, undefined));
    this.#append(tails === frame.tails ? frame : { ...frame, tails }, numbers);
  }

  #addSlab(frame: Frame): void {
    this.#hasReleases = true;
    this.#receiver.addSlab(frame);
  }

  /** Tells the other side which tails were taken. Most chunks have none. */
  #release(): void {
    if (!this.#hasReleases) return;
    this.#hasReleases = false;
    const release = this.#receiver.takeReleases();
    if (release !== undefined && !this.#isClosed) this.#append(release, undefined);
  }

  #append(frame: Frame, slabs: readonly number[] | undefined): void {
    const bound = frameBound(frame, slabs);
    if (bound > this.#gathered.length - this.#length) {
      this.#flush();
      if (bound > this.#gathered.length) {
        this.#writeLarge(frame, slabs, bound);
        return;
      }
    }
    this.#length = writeFrame(frame, slabs, this.#gathered, this.#length);
    if (++this.#together >= framesTogether) {
      this.#flush();
      return;
    }
    if (this.#isScheduled || this.#hasWritten) return;
    this.#isScheduled = true;
    process.nextTick(flushChannel, this);
  }

  #writeLarge(frame: Frame, slabs: readonly number[] | undefined, bound: number): void {
    countBytes(bound);
    const own = Buffer.allocUnsafeSlow(bound);
    this.#socket.write(own.subarray(0, writeFrame(frame, slabs, own, 0)));
  }

  /**
   * Called by the tick queue alone: the first frames of a turn leave at once, later ones of the turn leave together.
   */
  flushGathered(): void {
    this.#isScheduled = false;
    this.#hasWritten = true;
    setImmediate(endTurn, this);
    this.#flush();
  }

  /** Called by `setImmediate` alone. */
  endTurn(): void {
    this.#hasWritten = false;
    this.#flush();
  }

  #flush(): void {
    this.#together = 0;
    if (this.#length === 0 || this.#isClosed) return;
    const isBehind = this.#socket.writableLength > 0;
    this.#socket.write(this.#gathered.subarray(0, this.#length), isBehind ? this.#onWritten : undefined);
    this.#length = 0;
    if (this.#socket.writableLength === 0 || (this.#copiesAtOnce && !isBehind)) return;
    // The kernel still reads the untaken bytes from this buffer later.
    if (isBehind) this.#unwritten.push(this.#gathered);
    this.#gathered = this.#spare.pop() ?? Buffer.allocUnsafeSlow(gatherBytes);
  }

  #break(error: unknown): void {
    this.#reason ??=
      error instanceof ServingError ? error : fail("malformed_frame", { problem: messageOf(error) }, { cause: error });
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isClosed = true;
    this.#isEnded = true;
    this.#sender.close();
    this.#receiver.close();
    this.#reader?.closed(this.#reason);
  }
}

const flushChannel = (channel: SocketChannel): void => channel.flushGathered();
const endTurn = (channel: SocketChannel): void => channel.endTurn();
