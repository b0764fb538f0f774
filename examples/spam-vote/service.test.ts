import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { compose } from "ekiben/testing";
import { readMails } from "./mails.ts";
import { Semantic, SpamVote, Style, Words } from "./service.ts";

const mails = await readMails("test");
const texts = mails.map((mail) => mail.text);
const [firstHam = "", firstSpam = ""] = ["ham", "spam"].map(
  (label) => mails.find((mail) => mail.label === label)?.text,
);

/** Counts the mails, of 120, that a list of spam probabilities gets right. */
function countRight(probabilities: readonly number[]): number {
  return probabilities.filter((spam, index) => spam > 0.5 === (mails[index]?.label === "spam")).length;
}

for (const placement of ["inline", "thread", "process"] as const)
  describe(`spam vote, ${placement}`, async () => {
    const app = await compose(SpamVote, { placement });
    after(() => app.close());

    const voteOnAll = async () => {
      const verdicts: Awaited<ReturnType<typeof app.entry.vote>>[] = [];
      for (const text of texts) verdicts.push(await app.entry.vote(text));
      return verdicts;
    };

    it("is better together: 112, 114 and 102 of 120 alone, 116 as a vote", async () => {
      const verdicts = await voteOnAll();
      const alone = (["words", "semantic", "style"] as const).map((voter) =>
        countRight(verdicts.map(({ votes }) => votes[voter] ?? Number.NaN)),
      );
      assert.deepEqual(alone, [112, 114, 102]);
      assert.equal(countRight(verdicts.map(({ spam }) => spam)), 116);
      assert.ok(verdicts.every(({ label, spam }) => label === (spam > 0.5 ? "spam" : "ham")));
    });

    it("gives the first ham 0.064 and the first spam 0.979", async () => {
      assert.equal((await app.entry.vote(firstHam)).spam.toFixed(3), "0.064");
      assert.equal((await app.entry.vote(firstSpam)).spam.toFixed(3), "0.979");
    });

    it("goes on without its best voter: 114 of 120, and says who answered", async () => {
      app.fail(Semantic);
      const verdicts = await voteOnAll();
      app.clearFaults();
      assert.equal(countRight(verdicts.map(({ spam }) => spam)), 114);
      assert.ok(verdicts.every(({ answered }) => answered.join() === "words,style"));
    });

    it("scales the shares of those who answer up to one", async () => {
      app.fail(Words);
      app.fail(Semantic);
      const { spam, votes, answered } = await app.entry.vote(firstSpam);
      app.clearFaults();
      assert.deepEqual(answered, ["style"]);
      assert.equal(spam.toFixed(9), votes.style?.toFixed(9));
    });

    it("fails only when nobody answers", async () => {
      for (const voter of [Words, Semantic, Style]) app.fail(voter);
      await assert.rejects(app.entry.vote(firstHam), { code: "unavailable", id: "no_voter" });
      app.clearFaults();
    });

    it("lives on when a voter's replica dies", async () => {
      await app.kill(Semantic);
      assert.deepEqual((await app.entry.vote(firstSpam)).answered, ["words", "semantic", "style"]);
    });
  });
