import { LIMITS } from '../../api/limits.ts';
import { lockIdProblem, lockKey, splitLockKey } from '../../api/lock-id.ts';
import type { LockList } from '../../api/responses.ts';
import type { ListQuery } from '../calls.ts';
import { failure } from './failures.ts';
import { lockRecordOf } from './records.ts';
import type { SessionClient } from './session-client.ts';

/** One page of the locks of a namespace. */
export async function listPage(
  client: SessionClient,
  query: ListQuery,
  namespace: string,
  wallMs: () => number,
): Promise<LockList> {
  const { prefix, limit } = query;
  const after = query.continue === undefined ? '' : afterOf(query.continue);
  const pageSize = Math.min(LIMITS.listLimitMax, Math.max(1, limit));
  const found = await client.list({ namespace, prefix, after, limit: pageSize });
  const own = found.filter(({ key }) => key.startsWith(lockKey(namespace, prefix))).slice(0, pageSize);
  const items = own.map((inspection) => lockRecordOf(inspection, wallMs()));
  const last = own.at(-1);
  // The end of a full page may be the end of the list: the next page is then empty.
  return last === undefined || found.length < pageSize ? { items } : { items, continue: continueOf(last.key) };
}

function continueOf(key: string): string {
  return Buffer.from(splitLockKey(key).lockId, 'utf8').toString('base64url');
}

function afterOf(text: string): string {
  const lockId = Buffer.from(text, 'base64url').toString('utf8');
  if (lockIdProblem(lockId) === undefined) return lockId;
  throw failure('INVALID_ARGUMENT', {
    field: 'continue',
    problem: 'continue is not the text of an earlier page; start again without it',
  });
}
