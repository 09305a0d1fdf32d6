/** What an image is made of: index → manifest → configuration and layers (OCI image specification, and Docker's names). */
import { z } from 'zod';
import { BerthError, messageOf } from '../lib/errors.ts';
import type { JsonObject } from '../lib/json.ts';
import type { CallOptions } from './connection.ts';
import type { Content } from './content.ts';
import { distance, hostPlatform, type Platform, platformName } from './platform.ts';
import type { Descriptor, Labels } from './types.ts';

const INDEX_TYPES = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);
const MANIFEST_TYPES = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]);
/** An index may hold indexes; nobody nests them deeper. */
const NESTED_MOST = 4;

/** By which CRI-O, and builders after it, mark an image that is a checkpoint; the value is the container's name. */
const CHECKPOINT_OF = [
  'org.criu.checkpoint.container.name',
  'io.kubernetes.cri-o.annotations.checkpoint.name',
];

/** Go writes null for what is empty. */
const optional = <T extends z.ZodType>(schema: T, otherwise: z.output<T>) =>
  schema.nullish().transform((value) => value ?? otherwise);

const descriptorSchema = z.object({
  mediaType: optional(z.string(), ''),
  digest: z.string().regex(/^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-zA-Z=_-]+$/),
  size: z.number(),
  annotations: optional(z.record(z.string(), z.string()), {}),
});
const platformSchema = z.object({
  os: optional(z.string(), ''),
  architecture: optional(z.string(), ''),
  variant: optional(z.string(), ''),
});
const annotations = optional(z.record(z.string(), z.string()), {});
const indexSchema = z.object({
  annotations,
  manifests: optional(z.array(descriptorSchema.extend({ platform: platformSchema.nullish() })), []),
});
const manifestSchema = z.object({
  annotations,
  config: descriptorSchema,
  layers: optional(z.array(descriptorSchema), []),
});
const strings = optional(z.array(z.string()), []);
const configSchema = platformSchema.extend({
  rootfs: z.object({ diff_ids: strings }),
  config: optional(
    z.object({
      User: optional(z.string(), ''),
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      WorkingDir: optional(z.string(), ''),
      StopSignal: optional(z.string(), ''),
      Volumes: optional(z.record(z.string(), z.unknown()), {}),
      Labels: optional(z.record(z.string(), z.string()), {}),
    }),
    { User: '', Env: [], Entrypoint: [], Cmd: [], WorkingDir: '', StopSignal: '', Volumes: {}, Labels: {} },
  ),
});

/** How the image wants its containers to be run. */
export interface ImageConfig {
  readonly platform: Platform;
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  readonly stopSignal: string;
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** An image for one platform. */
export interface ImageDocuments {
  readonly manifest: Descriptor;
  /** Its digest is what the CRI calls the image's id. */
  readonly configuration: Descriptor;
  readonly config: ImageConfig;
  /** The configuration as it is, for verbose answers. */
  readonly rawConfig: JsonObject;
  /** From the bottom up. */
  readonly layers: readonly Layer[];
  /** The name of the container that it is a checkpoint of; undefined for an image like any other. */
  readonly checkpointOf: string | undefined;
}

export interface Layer {
  readonly descriptor: Descriptor;
  /** Digest of the uncompressed layer. */
  readonly diffId: string;
}

export interface ReadOptions extends CallOptions {
  /** The machine's own when absent. */
  readonly platform?: Platform;
  /** What the CRI calls the image's id: then that image is read, for whatever platform containerd has chosen it. */
  readonly id?: string;
}

/**
 * Reads what is below an image's target for one platform. Throws NOT_FOUND when no manifest is for that platform, or of that
 * id, or when a document was not pulled; INVALID_ARGUMENT when one is malformed.
 */
export async function readImage(
  content: Content,
  target: Descriptor,
  options: ReadOptions = {},
): Promise<ImageDocuments> {
  const { platform = hostPlatform(), id, ...call } = options;
  const found = await findManifest(content, target, { platform, id }, call);
  const { manifest, configuration, layers, marks } = found;
  const rawConfig = await read(content, configuration, z.record(z.string(), z.json()), call);
  const parsed = parse(configuration.digest, configSchema, rawConfig);
  const diffIds = parsed.rootfs.diff_ids;
  if (diffIds.length !== layers.length) {
    const counts = `${layers.length} layers, but its configuration names ${diffIds.length}`;
    throw new BerthError('INVALID_ARGUMENT', `image manifest "${manifest.digest}" has ${counts}`);
  }
  return {
    manifest,
    configuration,
    config: toConfig(parsed),
    rawConfig,
    layers: layers.map((descriptor, at) => ({ descriptor, diffId: diffIds[at] ?? '' })),
    checkpointOf: checkpointIn(marks),
  };
}

function checkpointIn(found: Labels): string | undefined {
  return CHECKPOINT_OF.map((key) => found[key]).find((name) => name !== undefined);
}

interface Wanted {
  readonly platform: Platform;
  readonly id: string | undefined;
}

interface Found extends Pick<ImageDocuments, 'manifest' | 'configuration'> {
  readonly layers: readonly Descriptor[];
  /** Annotations of the manifest, and of the indexes above it. */
  readonly marks: Labels;
}

async function findManifest(
  content: Content,
  target: Descriptor,
  wanted: Wanted,
  call: CallOptions,
  depth = 0,
): Promise<Found> {
  if (MANIFEST_TYPES.has(target.mediaType)) {
    const { config, layers, annotations: marks } = await read(content, target, manifestSchema, call);
    if (wanted.id === undefined || wanted.id === config.digest)
      return { manifest: target, configuration: config, layers, marks };
    throw new BerthError('NOT_FOUND', `manifest "${target.digest}" is not that of image "${wanted.id}"`);
  }
  if (!INDEX_TYPES.has(target.mediaType) || depth === NESTED_MOST) {
    const problem = `"${target.digest}" of type "${target.mediaType}" is neither manifest nor index`;
    throw new BerthError('INVALID_ARGUMENT', problem);
  }
  const { manifests, annotations: marks } = await read(content, target, indexSchema, call);
  let failure: BerthError | undefined;
  for (const entry of inOrder(manifests, wanted)) {
    try {
      const found = await findManifest(content, entry, wanted, call, depth + 1);
      return { ...found, marks: { ...marks, ...found.marks } };
    } catch (error) {
      // Of other platforms nothing may have been pulled.
      if (!(error instanceof BerthError) || error.code !== 'NOT_FOUND') throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  const offered = manifests.map((entry) => (entry.platform ? platformName(entry.platform) : 'unknown'));
  const problem = `no image for platform ${platformName(wanted.platform)} in "${target.digest}"`;
  throw new BerthError('NOT_FOUND', `${problem}, which has: ${offered.join(', ') || 'none'}`);
}

type Entry = z.output<typeof indexSchema>['manifests'][number];

const FARTHEST = Number.MAX_SAFE_INTEGER;

/** What an index has, from the nearest platform on; what does not fit comes last where an id decides, else not at all. */
function inOrder(manifests: readonly Entry[], { platform, id }: Wanted): Entry[] {
  const unfit = id === undefined ? undefined : FARTHEST;
  return manifests
    .filter(({ mediaType }) => MANIFEST_TYPES.has(mediaType) || INDEX_TYPES.has(mediaType))
    .flatMap((entry) => {
      const away = entry.platform ? (distance(entry.platform, platform) ?? unfit) : FARTHEST;
      return away === undefined ? [] : [{ entry, away }];
    })
    .sort((a, b) => a.away - b.away)
    .map(({ entry }) => entry);
}

async function read<T>(
  content: Content,
  { digest }: Descriptor,
  schema: z.ZodType<T>,
  call: CallOptions,
): Promise<T> {
  const blob = await content.read(digest, call);
  let document: unknown;
  try {
    document = JSON.parse(blob.toString('utf8'));
  } catch (error) {
    throw new BerthError('INVALID_ARGUMENT', `image document "${digest}" is no JSON: ${messageOf(error)}`);
  }
  return parse(digest, schema, document);
}

function parse<T>(digest: string, schema: z.ZodType<T>, document: unknown): T {
  const { success, data, error } = schema.safeParse(document);
  if (success) return data;
  const [issue] = error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new BerthError('INVALID_ARGUMENT', `image document "${digest}": ${where}: ${issue?.message ?? ''}`);
}

function toConfig({ config, os, architecture, variant }: z.output<typeof configSchema>): ImageConfig {
  return {
    platform: { os, architecture, variant },
    user: config.User,
    env: config.Env,
    entrypoint: config.Entrypoint,
    cmd: config.Cmd,
    workingDir: config.WorkingDir,
    stopSignal: config.StopSignal,
    volumes: Object.keys(config.Volumes),
    labels: config.Labels,
  };
}
