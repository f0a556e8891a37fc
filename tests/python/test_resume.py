"""Killed with -9 right behind a batch, at fifty random ones, and begun again in a new process each
time: the stream is the one of a run that nobody disturbed."""
import random
import subprocess
import sys

from helper import Case, opiml, unittest

KILLS, EPOCHS = 50, 40

# Says every batch's token; dies behind the batch with that number, if there is one.
RUN = """
import os, signal, sys, opiml
path, token, last, threads = sys.argv[1:]
pipe = opiml.Pipeline(path, epochs=%d, resume=token or None, digest=True, threads=int(threads))
for number, batch in enumerate(pipe):
    os.write(1, (batch.token + "\\n").encode())
    if number == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
print("end", pipe.stats()["digest"])
""" % EPOCHS


class Resume(Case):
    def run_once(self, path, token, last, threads):
        reply = subprocess.run([sys.executable, "-c", RUN, path, token, str(last), str(threads)],
                               stdout=subprocess.PIPE, text=True, timeout=60)
        lines = reply.stdout.split("\n")[:-1]
        self.assertEqual(reply.returncode, 0 if last < 0 else -9)
        return lines

    def test_fifty_kills(self):
        path, _ = self.rows(203)
        whole = opiml.Pipeline(path, epochs=EPOCHS, digest=True)
        tokens = [batch.token for batch in whole]
        draw = random.Random(3)
        seen, token = [], ""
        for kill in range(KILLS):
            seen += self.run_once(path, token, draw.randrange(9), 1 + kill % 3)
            token = seen[-1]
        self.assertLess(len(seen), len(tokens), "it was killed before the end, each time")
        *rest, end = self.run_once(path, token, -1, 2)
        self.assertEqual(seen + rest, tokens)  # every batch once, in order, none lost or repeated
        self.assertEqual(end, f"end {whole.stats()['digest']}")


if __name__ == "__main__":
    unittest.main()
