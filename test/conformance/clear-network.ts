import { execa } from 'execa';

/** What plugins leave on a node for good, here in the private network of the run: the bridge, and portmap's chains. */
export async function clearNetwork(): Promise<void> {
  await execa('ip', ['link', 'delete', 'brt0'], { reject: false });
  await execa('nft', ['flush', 'ruleset']);
}
