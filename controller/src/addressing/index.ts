export { AddressStore, type Remembered } from './address-store.ts';
export { Addressing, type LocalAddress, type MemberAddress } from './addressing.ts';
export { NO_TENURE, type Tenure } from './tenure.ts';
