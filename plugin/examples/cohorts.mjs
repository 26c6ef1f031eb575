// The cohort of a rollout, in JavaScript: which accounts a candidate decides (see plugin/README.md).
//
//   node plugin/examples/cohorts.mjs                          compare with plugin/cohorts.json
//   node plugin/examples/cohorts.mjs SALT HUNDREDTHS ID...    print the accounts that are in a cohort
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** An account's place in a rollout's order, from 0 to 9,999. */
function bucket(salt, accountId) {
  const first = createHash("sha256").update(salt + accountId).digest().readUInt32BE(0);
  return Number((BigInt(first) * 10000n) >> 32n);
}

/** The accounts in the cohort of a share, in hundredths of a percent. */
const cohort = (salt, share, accountIds) => accountIds.filter((id) => bucket(salt, id) < share);

const [salt, share, ...ids] = process.argv.slice(2);
if (salt !== undefined) {
  console.log(cohort(salt, Number(share), ids).join("\n"));
} else {
  const vectors = JSON.parse(readFileSync(new URL("../cohorts.json", import.meta.url), "utf8"));
  for (const { salt, share, accountIds } of vectors.cohorts) {
    const found = cohort(salt, share, vectors.accountIds);
    if (JSON.stringify(found) !== JSON.stringify(accountIds)) {
      console.error(`cohorts.mjs: salt ${JSON.stringify(salt)}, share ${share}: expected ${accountIds}, found ${found}`);
      process.exit(1);
    }
  }
  console.log(`cohorts.mjs: ${vectors.cohorts.length} cohorts of ${vectors.accountIds.length} accounts are as in cohorts.json`);
}
