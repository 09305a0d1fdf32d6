/** The types that are built in, kept apart from their code so that naming them loads none of it. */
export const pluginTypes: readonly string[] = ['bridge', 'flannel', 'host-local', 'loopback', 'portmap'];
