import assert from 'node:assert/strict';
import { maskSecrets } from '../../../../src/network/cni/mask.ts';

describe('secrets in configurations', () => {
  it('are masked by the names of their keys, at any depth', () => {
    const masked = maskSecrets({
      type: 'calico',
      password: 'p',
      k8s_auth_token: 't',
      etcd_key: 'k',
      apiKey: 'k',
      policy: { k8s_client_certificate: 'c', Secret: { nested: 'x' } },
      servers: [{ accessToken: 't' }],
    });
    const text = JSON.stringify(masked);
    assert.deepEqual(masked, {
      type: 'calico',
      password: '***',
      k8s_auth_token: '***',
      etcd_key: '***',
      apiKey: '***',
      policy: { k8s_client_certificate: 'c', Secret: '***' },
      servers: [{ accessToken: '***' }],
    });
    assert.ok(!text.includes('"t"'));
  });

  it('are masked in name and value pairs and in URLs', () => {
    assert.deepEqual(
      maskSecrets({
        env: [
          { name: 'DB_PASSWORD', value: 's' },
          { name: 'MTU', value: '1500' },
        ],
      }),
      {
        env: [
          { name: 'DB_PASSWORD', value: '***' },
          { name: 'MTU', value: '1500' },
        ],
      },
    );
    assert.deepEqual(maskSecrets({ endpoint: 'https://u:p@etcd:2379,https://u:q@e2' }), {
      endpoint: 'https://***@etcd:2379,https://***@e2',
    });
  });

  it('are not found where only a path or an innocent name is', () => {
    const plain = {
      kubernetes: { kubeconfig: '/etc/cni/net.d/calico-kubeconfig' },
      etcd_key_file: '/etc/key.pem',
      ipMasq: true,
      bridge: 'cni0',
      keepalive: null,
      name: 'monkey',
      hairpinMode: false,
    };
    assert.deepEqual(maskSecrets(plain), plain);
  });

  it('are masked when a kubeconfig stands inline', () => {
    assert.deepEqual(maskSecrets({ kubeconfig: 'apiVersion: v1\nusers: []' }), { kubeconfig: '***' });
  });

  it('are masked in the copy of itself that kubectl keeps in an annotation, and long texts are cut', () => {
    const annotations = {
      'kubectl.kubernetes.io/last-applied-configuration': '{"env":"s"}',
      note: 'x'.repeat(5000),
    };
    const masked = JSON.stringify(
      maskSecrets({ runtimeConfig: { 'io.kubernetes.cri.pod-annotations': annotations } }),
    );
    assert.ok(masked.includes('last-applied-configuration":"***"'));
    assert.ok(masked.length < 1500);
  });

  it('leaves __proto__ an ordinary key', () => {
    const masked = maskSecrets(JSON.parse('{"__proto__":{"token":"t"}}') as Record<string, never>);
    assert.equal(JSON.stringify(masked), '{"__proto__":{"token":"***"}}');
  });
});
