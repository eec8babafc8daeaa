#!/usr/bin/env python3
"""A camera client for Assay that loses no frame and always has a verdict in time.

    camera = Camera(["127.0.0.1:7070"], line="l1", station="s1", camera="cam-1", recipe="my-product")
    decision = camera.inspect(jpeg_bytes, serial="SN-0001", view="top")   # returns by the deadline, whatever happens
    gate(decision.verdict)                                                # only PASS is good
    camera.close()

Frames are kept in memory until a node says that they are recorded, and are sent again under the same key, to any node.
"""
import argparse, concurrent.futures, dataclasses, itertools, json, logging, os, pathlib, sys, threading, time

import grpc
from assay.v1 import inspection_pb2 as pb, inspection_pb2_grpc, types_pb2 as types

log = logging.getLogger("assay_camera")
FORMATS = {".jpg": types.IMAGE_FORMAT_JPEG, ".jpeg": types.IMAGE_FORMAT_JPEG, ".png": types.IMAGE_FORMAT_PNG}
ASK_AGAIN = 1.0  # seconds until what was not recorded is sent again
DEFAULT_BUDGET = 1.0  # seconds, until a node has told the recipe's


def ulid():
    """48 bits of milliseconds and 80 random bits, in Crockford's base 32."""
    n = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[n >> shift & 31] for shift in range(125, -1, -5))


@dataclasses.dataclass
class Decision:
    seq: int
    verdict: int  # types.VERDICT_...; what is not VERDICT_PASS is not good
    by: str  # "node", or "camera" when no answer came in time
    answer: pb.Answer = None


class Kept:
    """A frame from its capture until it is recorded."""

    def __init__(self, header, image, deadline):
        self.header, self.image, self.deadline = header, image, deadline
        self.attempt, self.link, self.not_before = 1, None, 0.0
        self.decision, self.decided = None, threading.Event()


class Link:
    """One stream to one node."""

    def __init__(self):
        self.welcome, self.credits, self.over, self.notes_sent = None, 0, False, {}


class Camera:
    def __init__(self, addresses, *, line, station, camera, recipe, max_kept=64):
        self.hello = pb.Hello(line=line, station=station, camera=camera, recipe=recipe, session=ulid(), client="assay_camera.py")
        self.addresses, self.max_kept = list(addresses), max_kept
        self.fallback, self.budget = types.VERDICT_UNDETERMINED, DEFAULT_BUDGET  # until Welcome tells the recipe's
        self._changed = threading.Condition()  # guards all below
        self._seq = itertools.count(1)
        self._kept = {}  # seq -> Kept, oldest first
        self._notes = {}  # ("announced" or "dropped", seq) -> request, until recorded
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="assay-camera", daemon=True)
        self._thread.start()

    def inspect(self, image, *, budget=None, format=types.IMAGE_FORMAT_JPEG, simulated=False, **header):
        """Returns a Decision by the deadline. header: serial, view, reference, lot, run_id, ..., and for raw images width,
        height, stride, pixel_format. May be called by several threads, one for each part on its way."""
        with self._changed:
            deadline = time.monotonic() + (budget or self.budget)
            seq = next(self._seq)
            frame = Kept(pb.FrameHeader(seq=seq, format=format, simulated=simulated, **header), image, deadline)
            frame.header.captured_at.GetCurrentTime()
            if self._changed.wait_for(lambda: len(self._kept) < self.max_kept, deadline - time.monotonic()):
                self._kept[seq] = frame
                self._changed.notify_all()
            else:
                self._drop(frame, "no node took earlier frames")
        frame.decided.wait(max(0.0, deadline - time.monotonic()))
        with self._changed:
            if frame.decision is None:  # no answer in time: we tell the gate, and then the node what we told it
                frame.decision = Decision(seq, self.fallback, "camera")
                said = pb.Announced(seq=seq, verdict=self.fallback, reason="DEADLINE", simulated=simulated)
                said.at.GetCurrentTime()
                self._notes["announced", seq] = pb.InspectRequest(announced=said)
                self._changed.notify_all()
            return frame.decision

    def close(self, timeout=10.0):
        """Waits until all is recorded. Returns how many frames and notes are not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._kept and not self._notes, timeout)
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return len(self._kept) + len(self._notes)

    def _drop(self, frame, why):
        """Gives a frame up. The node hears of it, so that it does not vanish."""
        seq = frame.header.seq
        self._kept.pop(seq, None)
        gap = pb.Dropped(first_seq=seq, last_seq=seq, reason=why, simulated=frame.header.simulated)
        gap.at.GetCurrentTime()
        self._notes["dropped", seq] = pb.InspectRequest(dropped=gap)
        self._decide(frame, Decision(seq, self.fallback, "camera"))

    def _decide(self, frame, decision):
        if frame.decision is None:
            frame.decision = decision
            frame.decided.set()
        self._changed.notify_all()

    # What follows runs in the threads of the stream.

    def _run(self):
        """Keeps a stream to one of the nodes open, the next one when it breaks."""
        pause, turn = 0.05, 0
        while not self._closed:
            link, address = Link(), self.addresses[turn % len(self.addresses)]
            turn += 1
            options = [("grpc.max_send_message_length", -1), ("grpc.keepalive_time_ms", 10_000), ("grpc.enable_http_proxy", 0)]
            try:
                with grpc.insecure_channel(address, options) as channel:
                    for message in inspection_pb2_grpc.InspectionServiceStub(channel).Inspect(self._requests(link)):
                        pause = 0.05
                        self._receive(link, message)
            except grpc.RpcError as e:
                log.warning("%s: %s: %s", address, e.code().name, e.details())
            with self._changed:
                link.over = True
                for frame in self._kept.values():
                    if frame.link is link:  # delivered, and no answer to it will come
                        frame.attempt, frame.link = frame.attempt + 1, None
                self._changed.wait_for(lambda: self._closed, pause)
                self._changed.notify_all()
            pause = min(2 * pause, 5.0)

    def _requests(self, link):
        yield pb.InspectRequest(hello=self.hello)
        while True:
            with self._changed:
                while (message := self._next(link)) is None and not self._closed and not link.over:
                    self._changed.wait(ASK_AGAIN / 4)
            if message is None or link.over:
                return
            yield message

    def _next(self, link):
        """The next thing to send, or None: what we announced or dropped first, then the oldest frame that may go."""
        now = time.monotonic()
        if link.welcome is None or self._closed:
            return None
        for key, note in self._notes.items():
            if now - link.notes_sent.get(key, -ASK_AGAIN) >= ASK_AGAIN:
                link.notes_sent[key] = now
                return note
        if link.credits == 0:
            return None
        for frame in list(self._kept.values()):
            if frame.link is link or now < frame.not_before:
                continue
            frame.header.attempt = frame.attempt
            frame.header.budget.SetInParent()  # a budget of zero says that no time is left; none at all would be the recipe's
            frame.header.budget.FromNanoseconds(max(0, int((frame.deadline - now) * 1e9)))
            request = pb.InspectRequest(frame=pb.Frame(header=frame.header, image=frame.image))
            if request.ByteSize() > link.welcome.max_message_bytes:
                self._drop(frame, f"{request.ByteSize()} bytes, the node takes {link.welcome.max_message_bytes}")
                return self._next(link)
            frame.link, link.credits = link, link.credits - 1
            return request
        return None

    def _receive(self, link, message):
        with self._changed:
            kind = message.WhichOneof("message")
            if kind == "welcome":
                link.welcome, link.credits = message.welcome, message.welcome.credits
                self.addresses += [a for a in message.welcome.peers if a not in self.addresses]
                for terms in message.welcome.recipes:
                    if terms.name == self.hello.recipe:
                        self.fallback, self.budget = terms.fallback, terms.budget.ToNanoseconds() / 1e9 or DEFAULT_BUDGET
            elif kind == "answer":
                link.credits += 1
                self._answered(message.answer)
            elif kind == "credit":
                link.credits += message.credit.frames
            elif kind == "recorded":
                for name in ("announced", "dropped"):
                    for seq in getattr(message.recorded, name):
                        self._notes.pop((name, seq), None)
            self._changed.notify_all()

    def _answered(self, answer):
        frame = self._kept.get(answer.seq)
        if frame is None:
            return
        known = answer.verdict in types.Verdict.values()
        verdict = answer.verdict if known else types.VERDICT_UNDETERMINED
        self._decide(frame, Decision(answer.seq, verdict, "node", answer))
        if answer.recorded:
            del self._kept[answer.seq]
        elif answer.judgement.reason == "INVALID":  # sending it again would not help
            log.error("frame %d: %s", answer.seq, answer.judgement.detail)
            self._drop(frame, answer.judgement.detail)
        else:
            frame.link, frame.not_before = None, time.monotonic() + ASK_AGAIN


def main():
    p = argparse.ArgumentParser(description="Send pictures to a node and print one line of JSON for each.")
    p.add_argument("--address", action="append", help="host:port of a node, as often as there are nodes (127.0.0.1:7070)")
    p.add_argument("--line", default="line-1")
    p.add_argument("--station", default="station-1")
    p.add_argument("--camera", default="camera-1")
    p.add_argument("--recipe", required=True)
    p.add_argument("--view", default="")
    p.add_argument("--reference", default="", help="key of the template in the recipe")
    p.add_argument("--budget", type=float, help="seconds until the verdict must be there (the recipe's)")
    p.add_argument("--at-once", type=int, default=4, help="parts on their way at the same time (4)")
    p.add_argument("pictures", nargs="+", type=pathlib.Path, help=".jpg or .png; the file's name is the serial")
    args = p.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    camera = Camera(args.address or ["127.0.0.1:7070"], line=args.line, station=args.station, camera=args.camera, recipe=args.recipe)

    def inspect(path):
        image, start = path.read_bytes(), time.monotonic()
        format = FORMATS.get(path.suffix.lower(), types.IMAGE_FORMAT_UNSPECIFIED)
        decision = camera.inspect(image, format=format, budget=args.budget, serial=path.stem, view=args.view, reference=args.reference)
        return path, decision, (time.monotonic() - start) * 1000

    with concurrent.futures.ThreadPoolExecutor(args.at_once) as pool:
        for path, decision, ms in pool.map(inspect, args.pictures):
            verdict = types.Verdict.Name(decision.verdict).removeprefix("VERDICT_")
            line = {"picture": path.name, "seq": decision.seq, "verdict": verdict, "by": decision.by, "ms": round(ms, 1)}
            if decision.answer and decision.answer.judgement.reason:
                line |= {"reason": decision.answer.judgement.reason, "detail": decision.answer.judgement.detail}
            print(json.dumps(line), flush=True)
    if left := camera.close():
        sys.exit(f"{left} frames or notes are not recorded")


if __name__ == "__main__":
    main()
