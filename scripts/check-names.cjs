// Fails if two files of the product export different things under one name. `npm run lint` runs this check.
const { readdirSync, readFileSync } = require('node:fs');
const ts = require('typescript');

/** Groups of folders whose exported names are compared. The dashboard is only compared with itself. */
const PARTS = [['bin', 'cli', 'core', 'src', 'workers'], ['dashboard/src']];

/**
 * Lists the names that a file declares and exports. Re-exports (`export … from`) do not count, because another file
 * declares them.
 */
function declaredExports(file) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  const hasModifier = (statement, kind) => statement.modifiers?.some((modifier) => modifier.kind === kind);
  const exported = source.statements.filter(
    (statement) =>
      hasModifier(statement, ts.SyntaxKind.ExportKeyword) && !hasModifier(statement, ts.SyntaxKind.DefaultKeyword),
  );
  const names = exported.flatMap((statement) =>
    ts.isVariableStatement(statement)
      ? statement.declarationList.declarations.map((declaration) => declaration.name)
      : [statement.name],
  );
  return new Set(names.filter((name) => name && ts.isIdentifier(name)).map((name) => name.text));
}

let failed = false;
for (const folders of PARTS) {
  const files = new Map();
  const paths = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((file) => `${folder}/${file}`),
  );
  for (const path of paths.filter((path) => /\.[jt]sx?$/.test(path) && !path.includes('/generated/')).sort()) {
    for (const name of declaredExports(path)) files.set(name, [...(files.get(name) ?? []), path]);
  }
  for (const [name, places] of files) {
    if (places.length === 1) continue;
    failed = true;
    console.error(`${name} is exported by ${places.join(' and ')}: give each its own name, or import one`);
  }
}
process.exitCode = failed ? 1 : 0;
