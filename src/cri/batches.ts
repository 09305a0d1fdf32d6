/** What of an item may be large: labels, and annotations, of which a pod may have 256 KiB. */
interface Annotated {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Beside its labels and annotations an item has a few hundred bytes. */
const ITEMS_MOST = 500;
/** In UTF-16 units, each three bytes at most on the wire: a batch stays below the 16 MiB that a message may have. */
const TEXT_MOST = 4 * 1024 * 1024;

/** The items in batches for a stream: in order, never empty, none too large for a message unless a single item is. */
export function* inBatches<Item extends Annotated>(items: readonly Item[]): Generator<Item[]> {
  let batch: Item[] = [];
  let size = 0;
  for (const item of items) {
    const more = textOf(item.labels) + textOf(item.annotations);
    if (batch.length > 0 && (batch.length === ITEMS_MOST || size + more > TEXT_MOST)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(item);
    size += more;
  }
  if (batch.length > 0) yield batch;
}

function textOf(map: Readonly<Record<string, string>> = {}): number {
  return Object.entries(map).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
}
