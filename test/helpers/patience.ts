/** How long, in milliseconds, a test waits for what should come: only what never does takes so long. More where the kernel is slow. */
export const PATIENCE_MS = Number(process.env['TEST_PATIENCE_MS'] ?? 30_000);
