import { invalid } from '../lib/errors.ts';

/** A label becomes a label of containerd's container, which takes 4096 bytes for key and value. */
const LABEL_MAX = 4096;
/** Kubernetes allows 256 KiB of annotations; kubelet adds a few of its own. */
const ANNOTATIONS_MAX = 512 * 1024;

type StringMap = Readonly<Record<string, string>>;

/** Throws INVALID_ARGUMENT for a label that is too long for the engine. */
export function checkLabels(field: string, labels: StringMap): void {
  for (const [key, value] of Object.entries(labels)) {
    const size = Buffer.byteLength(key) + Buffer.byteLength(value);
    if (size > LABEL_MAX) {
      throw invalid(`${field}["${key.slice(0, 64)}"]`, `key and value are ${size} bytes, over ${LABEL_MAX}`);
    }
  }
}

/** Throws INVALID_ARGUMENT for more annotations than any pod of Kubernetes can have. */
export function checkAnnotations(field: string, annotations: StringMap): void {
  let size = 0;
  for (const [key, value] of Object.entries(annotations))
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  if (size > ANNOTATIONS_MAX) throw invalid(field, `are ${size} bytes in all, over ${ANNOTATIONS_MAX}`);
}
