/** What the netfilter protocols have in common (linux/netfilter/nfnetlink.h). */

export const NETLINK_NETFILTER = 12;
export const NFNL_SUBSYS_CTNETLINK = 1;
export const NFNL_SUBSYS_NFTABLES = 10;
export const NFGENMSG_LENGTH = 4;

/** struct nfgenmsg: family, version 0, resource 0. */
export function nfHeader(family: number): Buffer {
  const header = Buffer.alloc(NFGENMSG_LENGTH);
  header.writeUInt8(family, 0);
  return header;
}
