/** The faults that are in force, and the requests that are held. */
import { type Fault, type HoldPoint, type ProxyRequest, type RequestMatch, fits } from './faults.ts';

export interface RuleOptions {
  /** How many matching requests meet it. Default: every one, until it is removed. */
  readonly times?: number;
  /** How many matching requests pass before it. Default 0. */
  readonly skip?: number;
}

/** One fault in force. Disposing of it ends it for later requests; what is under way is not changed. */
export interface InjectedFault extends Disposable {
  /** How many requests have met it. */
  readonly hits: number;
  /** Resolves when the next request meets it, or at once if one has. */
  readonly hit: Promise<ProxyRequest>;
}

/** One request that is to be held, or is. Disposing of it releases the request. */
export interface HeldRequest extends Disposable {
  /** Resolves once a request is held there. */
  readonly reached: Promise<ProxyRequest>;
  /** Lets it go on; before it is reached: nothing is held any more. A request whose client has left goes on all the same. */
  release(): void;
  /** Forgets it: its connection is reset. One that was forwarded has landed. */
  drop(): void;
}

/** What to do with a request. */
export type Ruling = { readonly fault: Fault } | { readonly hold: Hold };

/** The inside of a `HeldRequest`. */
export interface Hold {
  readonly point: HoldPoint;
  readonly reach: () => void;
  /** Resolves when it is decided. */
  readonly verdict: Promise<'release' | 'drop'>;
}

interface Rule {
  readonly match: RequestMatch;
  left: number;
  skip: number;
  readonly rule: (request: ProxyRequest) => Ruling;
}

/** The oldest rule that fits a request and has not had its number of requests decides; no rule decides about more. */
export class RuleBook {
  readonly #rules = new Set<Rule>();

  inject(match: RequestMatch, fault: Fault, options: RuleOptions = {}): InjectedFault {
    const first = deferred<ProxyRequest>();
    let hits = 0;
    const remove = this.#add(match, options, (request) => {
      hits += 1;
      first.resolve(request);
      return { fault };
    });
    return {
      get hits() {
        return hits;
      },
      hit: first.promise,
      [Symbol.dispose]: remove,
    };
  }

  hold(match: RequestMatch, point: HoldPoint, skip = 0): HeldRequest {
    const reached = deferred<ProxyRequest>();
    const verdict = deferred<'release' | 'drop'>();
    const remove = this.#add(match, { skip, times: 1 }, (request) => ({
      hold: { point, reach: () => reached.resolve(request), verdict: verdict.promise },
    }));
    const decide = (decision: 'release' | 'drop') => () => {
      remove();
      verdict.resolve(decision);
    };
    const release = decide('release');
    return { reached: reached.promise, release, drop: decide('drop'), [Symbol.dispose]: release };
  }

  /** From now on nothing is in force. What is held stays held. */
  clear(): void {
    this.#rules.clear();
  }

  rulingFor(request: ProxyRequest): Ruling {
    for (const rule of this.#rules) {
      if (!fits(request, rule.match)) continue;
      if (rule.skip > 0) {
        rule.skip -= 1;
        continue;
      }
      rule.left -= 1;
      if (rule.left === 0) this.#rules.delete(rule);
      return rule.rule(request);
    }
    return { fault: { kind: 'pass' } };
  }

  #add(match: RequestMatch, { times = Infinity, skip = 0 }: RuleOptions, rule: Rule['rule']): () => void {
    const added: Rule = { match, left: times, skip, rule };
    this.#rules.add(added);
    return () => void this.#rules.delete(added);
  }
}

function deferred<Value>(): { readonly promise: Promise<Value>; readonly resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => (resolve = settle));
  return { promise, resolve };
}
