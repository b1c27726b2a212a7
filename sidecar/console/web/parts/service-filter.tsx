import { linkTo } from '../../../../web/place.ts';

/** Chooses the service that a page is about; the empty choice is the whole fleet, or its busiest part. */
export function ServiceFilter({
  services,
  value,
  page,
}: {
  readonly services: readonly string[];
  readonly value: string;
  readonly page: string;
}) {
  return (
    <label class="choice">
      <span>Service</span>
      <input
        type="search"
        list="services"
        placeholder="all"
        defaultValue={value}
        onChange={(event) => {
          const name = event.currentTarget.value.trim();
          if (name === '' || services.includes(name)) location.hash = linkTo(page, { service: name });
        }}
      />
      <datalist id="services">
        {services.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
}
