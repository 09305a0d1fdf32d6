import { addressesOf } from '../network/attachment.ts';
import type { AttachmentKey } from '../network/cni/cache.ts';
import type { Debts } from '../network/debts.ts';
import type { LivingAttachment } from '../network/overview.ts';
import type { NetworkList } from '../network/cni/types.ts';
import type { SandboxStore } from '../pod/sandbox/store.ts';

/** The attachments that must not be collected: of sandboxes that are not stopped, and of DELs that are owed. */
export function livingAttachments(store: SandboxStore, debts: Debts): AttachmentKey[] {
  const key = (network: string, containerId: string, ifName: string): AttachmentKey => ({
    network,
    containerId,
    ifName,
  });
  const sandboxes = store.all().filter(({ state }) => state.phase !== 'stopped');
  return [
    ...sandboxes.flatMap(({ id, record }) =>
      record.attachments.map(({ network, ifName }) => key(network.name, id, ifName)),
    ),
    ...debts
      .list()
      .map(({ sandboxId, attachment }) => key(attachment.network.name, sandboxId, attachment.ifName)),
  ];
}

/** The attachments of sandboxes that are not stopped, with their results. */
export function shownAttachments(store: SandboxStore): LivingAttachment[] {
  return store
    .all()
    .filter(({ state }) => state.phase !== 'stopped')
    .flatMap(({ id, pod, record, state }) =>
      record.attachments.map((attachment, i) => ({
        sandboxId: id,
        pod,
        record: attachment,
        result: state.results[i],
      })),
    );
}

/** The addresses that pods have or that a debt holds. */
export function livingAddresses(store: SandboxStore, debts: Debts): string[] {
  const results = store.all().flatMap(({ state }) => (state.phase === 'stopped' ? [] : state.results));
  return [...results.flatMap(addressesOf), ...debts.withheld().addresses];
}

/** What an ADD on a network must not hand out: what unpaid debts hold, and addresses that its IPAM may not know pods to have. */
export function withheldOn(
  network: NetworkList,
  inUse: readonly NetworkList[],
  store: SandboxStore,
  debts: Debts,
): ReturnType<Debts['withheld']> {
  const { addresses, hostPorts } = debts.withheld();
  return { addresses: [...addresses, ...formerAddresses(store, inUse, network)], hostPorts };
}

/**
 * The addresses of pods that got them before this network was configured: under its name with another configuration, or from a network
 * that is configured no more. Its IPAM may keep its files elsewhere and know nothing of them. Networks in use are each other's equals,
 * and may have the same addresses on purpose.
 */
function formerAddresses(store: SandboxStore, inUse: readonly NetworkList[], network: NetworkList): string[] {
  const names = new Set(inUse.map(({ name }) => name));
  const isFormer = ({ name, text }: NetworkList): boolean =>
    name === network.name ? text !== network.text : !names.has(name);
  // Asked by each ADD, on a node where hardly any pod is on a former network.
  return store
    .all()
    .flatMap(({ record, state }) =>
      state.phase === 'stopped'
        ? []
        : record.attachments.flatMap((attachment, i) =>
            isFormer(attachment.network) ? addressesOf(state.results[i]) : [],
          ),
    );
}

/** The networks of all sandboxes, those of the newest first; of the stopped ones too, as all are after a reboot. */
export function rememberedNetworks(store: SandboxStore): NetworkList[] {
  return store
    .all()
    .toReversed()
    .flatMap(({ record }) => record.attachments.map(({ network }) => network));
}
