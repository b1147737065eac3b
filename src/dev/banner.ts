/** What `npm start` prints once it serves: where it listens, and lines to type next. */
export function bannerOf(options: {
  readonly addresses: readonly string[];
  readonly port: number;
  /** Where locks are kept, as a sentence. */
  readonly place: string;
  readonly kubeconfigPath: string;
}): string {
  const base = `http://localhost:${options.port}/v1/locks`;
  return `Lockkeeper serves locks on ${options.addresses.join(' and ')}
${options.place}

Try, in another terminal:
  curl -s --json '{"ownerId":"alice"}' ${base}/migrations:acquire
  curl -s --json '{"ownerId":"bob","timeoutMs":60000}' ${base}/migrations:acquire   # waits for alice
  curl -s ${base}/migrations   # who holds, who waits
  curl -N --json '{"timeoutMs":-1}' ${base}/default/order-42:hold   # held while it runs; Ctrl-C frees
  curl -s http://localhost:${options.port}/metrics | grep lockkeeper

The same locks with kubectl:
  export KUBECONFIG=${options.kubeconfigPath}
  kubectl get locks

Press Ctrl-C to stop.`;
}
