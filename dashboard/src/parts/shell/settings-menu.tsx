import { GearIcon } from '@radix-ui/react-icons';
import { Button, DropdownMenu } from '@radix-ui/themes';
import { endSession } from '../../api/session.ts';
import { prefer, usePreferences } from './preferences.ts';

const APPEARANCES = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
] as const;

/** Menu with appearance, form of times, API documentation and sign-out. */
export function SettingsMenu() {
  const { appearance, exactTimes } = usePreferences();
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger>
        <Button variant="soft" color="gray">
          <GearIcon aria-hidden />
          Settings
        </Button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Content align="end">
        <DropdownMenu.Label>Appearance</DropdownMenu.Label>
        <DropdownMenu.RadioGroup value={appearance}>
          {APPEARANCES.map(([value, label]) => (
            <DropdownMenu.RadioItem key={value} value={value} onSelect={() => prefer({ appearance: value })}>
              {label}
            </DropdownMenu.RadioItem>
          ))}
        </DropdownMenu.RadioGroup>
        <DropdownMenu.Separator />
        <DropdownMenu.CheckboxItem
          checked={exactTimes}
          onCheckedChange={(checked) => prefer({ exactTimes: checked === true })}
        >
          Exact times
        </DropdownMenu.CheckboxItem>
        <DropdownMenu.Separator />
        <DropdownMenu.Item asChild>
          <a href="/docs">API documentation</a>
        </DropdownMenu.Item>
        <DropdownMenu.Item color="red" onSelect={() => endSession()}>
          Sign out
        </DropdownMenu.Item>
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}
