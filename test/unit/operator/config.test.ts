/** Goal: flags and environment make one frozen configuration, or all their problems are told at once, each with its option. */
import { describe, expect, it } from '@jest/globals';
import { parseCommand as parseDevCommand } from '../../../src/dev/config.ts';
import { dnsLabelOf, parseCommand } from '../../../src/operator/config.ts';

const parse = (text: string, variables: Record<string, string> = {}) =>
  parseCommand({ arguments: text.split(' ').filter(Boolean), variables });
const parseDev = (text: string) => parseDevCommand({ arguments: text.split(' ').filter(Boolean), variables: {} });

describe('npm run operator', () => {
  it('takes the environment, and flags over it', () => {
    const variables = { KUBECONFIG: '/a', POD_NAME: 'operator-0', POD_NAMESPACE: 'locks', LOCKKEEPER_PORT: '9' };
    expect(parse('', variables)).toEqual({
      run: 'serve',
      config: { kubeconfig: '/a', 'pod-name': 'operator-0', namespace: 'locks', port: 9, log: 'info', help: false },
    });
    const command = parse('--kubeconfig /b --port 0 --log debug --namespace other', variables);
    expect(command).toMatchObject({ config: { kubeconfig: '/b', port: 0, log: 'debug', namespace: 'other' } });
    expect(Object.isFrozen(command.run === 'serve' && command.config)).toBe(true);
  });

  it('names a replica after its machine if nobody does', () => {
    expect(parse('')).toMatchObject({
      config: { 'pod-name': expect.stringMatching(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/) },
    });
    expect(['My_Mac.local', '--', 'a'.repeat(80)].map(dnsLabelOf)).toEqual([
      'my-mac-local',
      'lockkeeper',
      'a'.repeat(40),
    ]);
  });

  it('tells every problem at once', () => {
    expect(parse('--port 70000 --log loud --namespace Big --pod-name=-x', {})).toEqual({
      run: 'refuse',
      problems: [
        expect.stringMatching(/^--namespace: must be a DNS label/),
        expect.stringMatching(/^--pod-name: must be a DNS label/),
        expect.stringMatching(/^--port: /),
        expect.stringMatching(/^--log: /),
      ],
    });
    expect(parse('--prot 1')).toMatchObject({ run: 'refuse', problems: [expect.stringContaining('--prot')] });
    expect(parse('-h')).toEqual({ run: 'help' });
  });
});

describe('npm start', () => {
  it('keeps locks in one place only', () => {
    expect(parseDev('--kubeconfig f --data d --kube-port 1 --write-kubeconfig w')).toEqual({
      run: 'refuse',
      problems: [
        '--data: with --kubeconfig locks are kept in the cluster; leave one of the two out',
        '--kube-port: with --kubeconfig there is no embedded Kubernetes API; leave it out',
        '--write-kubeconfig: with --kubeconfig there is no embedded Kubernetes API; leave it out',
      ],
    });
    expect(parseDev('--context c')).toMatchObject({
      run: 'refuse',
      problems: ['--context: it names a context of --kubeconfig, which is not given'],
    });
    expect(parseDev('--kubeconfig f --context c --port 0')).toMatchObject({
      run: 'serve',
      config: { kubeconfig: 'f', context: 'c', port: 0 },
    });
  });
});
