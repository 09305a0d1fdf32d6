import { Iff, type Link, type LinkChanges } from '../../../../kernel/netlink/links.ts';

/** Attributes of a link that tuning changes, by the names of its configuration and of its backup; undefined ones stay. */
export interface Attributes {
  readonly mac?: string | undefined;
  readonly promisc?: boolean | undefined;
  readonly mtu?: number | undefined;
  readonly allmulti?: boolean | undefined;
  readonly txQLen?: number | undefined;
}

/** What a link has now of the attributes that are asked for. */
export function attributesOf(link: Link, asked: Attributes): Attributes {
  return {
    mac: asked.mac === undefined ? undefined : link.mac,
    promisc: asked.promisc === undefined ? undefined : link.promiscuity !== 0,
    mtu: asked.mtu === undefined ? undefined : link.mtu,
    allmulti: asked.allmulti === undefined ? undefined : isAllMulticast(link),
    txQLen: asked.txQLen === undefined ? undefined : link.txQueueLength,
  };
}

function isAllMulticast({ flags }: Link): boolean {
  return (flags & Iff.ALLMULTI) !== 0;
}

/** As one request: the kernel refuses all or, for a value that the device does not take, what follows it. */
export function changesTo({ mac, promisc, mtu, allmulti, txQLen }: Attributes): LinkChanges {
  return {
    ...(mac === undefined ? {} : { mac }),
    ...(promisc === undefined ? {} : { promiscuous: promisc }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(allmulti === undefined ? {} : { allMulticast: allmulti }),
    ...(txQLen === undefined ? {} : { txQueueLength: txQLen }),
  };
}

/** CHECK: the first attribute that differs, in the reference plugin's words. A link that is promiscuous unasked differs too. */
export function mismatch(link: Link, wanted: Attributes): string | undefined {
  const { name, mac, promiscuity, mtu, txQueueLength } = link;
  if (wanted.mac !== undefined && wanted.mac !== mac) {
    return `Error: Tuning configured Ethernet of ${name} is ${wanted.mac}, current value is ${mac}`;
  }
  const promisc = wanted.promisc ?? false;
  if (promisc !== (promiscuity !== 0)) {
    return `Error: Tuning link ${name} configured promisc is ${promisc}, current value is ${promiscuity}`;
  }
  if (wanted.mtu !== undefined && wanted.mtu !== mtu) {
    return `Error: Tuning configured MTU of ${name} is ${wanted.mtu}, current value is ${mtu}`;
  }
  const all = isAllMulticast(link);
  if (wanted.allmulti !== undefined && wanted.allmulti !== all) {
    return `Error: Tuning configured all-multicast mode of ${name} is ${wanted.allmulti}, current value is ${all}`;
  }
  if (wanted.txQLen !== undefined && wanted.txQLen !== txQueueLength) {
    return `Error: Tuning configured Transmit Queue Length of ${name} is ${wanted.txQLen}, current value is ${txQueueLength}`;
  }
  return undefined;
}
