import type { CallOptions } from './connection.ts';
import type { ImageService } from './image-service.ts';

/**
 * The images, of which the one with this name is pinned: kubelet does not remove it when the disk is full, although no container uses it
 * yet. All others are as containerd has them; '' for none.
 */
export function withPinnedImage(images: ImageService, name: string): ImageService {
  if (name === '') return images;
  const pinnedId = async (options?: CallOptions): Promise<string | undefined> =>
    (await images.imageStatus({ image: { image: name } }, options)).image?.id;
  return {
    pullImage: (request, options) => images.pullImage(request, options),
    removeImage: (request, options) => images.removeImage(request, options),
    imageFsInfo: (request, options) => images.imageFsInfo(request, options),
    listImages: async (request, options) => {
      const [listed, id] = await Promise.all([images.listImages(request, options), pinnedId(options)]);
      return { images: listed.images.map((image) => (image.id === id ? { ...image, pinned: true } : image)) };
    },
    imageStatus: async (request, options) => {
      const [answer, id] = await Promise.all([images.imageStatus(request, options), pinnedId(options)]);
      const { image } = answer;
      return image !== null && image.id === id ? { ...answer, image: { ...image, pinned: true } } : answer;
    },
  };
}
