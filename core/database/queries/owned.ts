import type { Owner } from '../../terms/owner.ts';

/** The owner's columns, to compare with or to insert. */
export function ownerColumns(owner: Owner): { owner_service: string; owner_user: string } {
  return { owner_service: owner.service, owner_user: owner.user };
}
