// A container image made of Debian's static busybox, without any tool for images: an OCI layout in a tar archive.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const architectures = { x64: 'amd64', arm64: 'arm64' };

function tar(directory, file) {
  execFileSync('tar', ['--create', '--file', file, '--owner=0', '--group=0', '--numeric-owner', '-C', directory, '.']);
}

/** Writes the archive of an image with this name into a directory that is the caller's to remove; returns its path. */
export function writeTinyImage(directory, name) {
  const rootfs = join(directory, 'rootfs');
  const layout = join(directory, 'layout');
  const blobs = join(layout, 'blobs/sha256');
  for (const path of [join(rootfs, 'bin'), blobs]) mkdirSync(path, { recursive: true });
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
  symlinkSync('busybox', join(rootfs, 'bin/sh'));
  tar(rootfs, join(directory, 'layer.tar'));

  const blob = (mediaType, content) => {
    const hash = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(blobs, hash), content);
    return { mediaType, digest: `sha256:${hash}`, size: content.length };
  };
  const json = (value) => Buffer.from(JSON.stringify(value));
  const layer = blob('application/vnd.oci.image.layer.v1.tar', readFileSync(join(directory, 'layer.tar')));
  const config = blob(
    'application/vnd.oci.image.config.v1+json',
    json({
      os: 'linux',
      architecture: architectures[process.arch] ?? process.arch,
      config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = blob(mediaType, json({ schemaVersion: 2, mediaType, config, layers: [layer] }));
  const annotations = { 'io.containerd.image.name': name };
  writeFileSync(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  writeFileSync(join(layout, 'index.json'), json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }));
  const archive = join(directory, 'image.tar');
  tar(layout, archive);
  return archive;
}
