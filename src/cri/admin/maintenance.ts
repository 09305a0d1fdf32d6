import type { Unary } from '../call.ts';

interface Answer {
  readonly json: string;
}

/** berth.v1.Admin CollectGarbage. */
export const collectGarbage: Unary<{ dryRun: boolean }, Answer> = async ({ maintenance }, { dryRun }) => ({
  json: JSON.stringify(await maintenance.collect({ dryRun })),
});

/** berth.v1.Admin TestNetworks. */
export const testNetworks: Unary<unknown, Answer> = async ({ maintenance }, _request, { signal }) => ({
  json: JSON.stringify(await maintenance.trial(signal)),
});

/** berth.v1.Admin ShowNetworks. */
export const showNetworks: Unary<unknown, Answer> = async ({ overview }) => ({
  json: JSON.stringify(await overview.show()),
});
