import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    // The program in .ci is checked where the package is installed whose types it uses.
    ignores: [
      '.ci/',
      '.venv/',
      '.venv-contract/',
      '.venv-vllm/',
      'node_modules/',
      '**/generated/',
      'coverage/',
      '**/dist/',
      'test/fixtures/',
      'examples/**/*.py',
    ],
  },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      'no-restricted-imports': [
        'error',
        {
          name: 'onnxruntime-node',
          message: 'Import core/engine/compiled/onnx-runtime.ts: it switches telemetry off.',
        },
      ],
    },
  },
  { files: ['core/engine/compiled/onnx-runtime.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    // Inner loops of the core take buffers and offsets as parameters, because creating options objects would slow them down.
    files: ['core/**/*.ts'],
    rules: { 'max-params': ['error', 6] },
  },
  {
    files: ['src/**/*.ts', 'workers/**/*.ts', 'cli/**/*.ts'],
    // The program in .ci is checked where the package is installed whose types it uses.
    ignores: ['.ci/', '**/*.repository.ts', 'src/lib/database*.ts', 'src/embedded/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: `CallExpression[callee.object.type="MemberExpression"][callee.object.object.name=/^(db|tx|database)$/][callee.property.name=/^(find|create|update|upsert|delete|aggregate|groupBy|count)/]`,
          message: 'Only repositories query the database: move this to a *.repository.ts.',
        },
        {
          selector: `MemberExpression[property.name=/^\\$(queryRaw|executeRaw)/]`,
          message: 'Only repositories query the database: move this to a *.repository.ts.',
        },
      ],
    },
  },
  {
    files: ['dashboard/src/**/*.{ts,tsx}'],
    ...reactHooks.configs.flat.recommended,
    // It warns of libraries that the React Compiler cannot handle, which is not used here.
    rules: { ...reactHooks.configs.flat.recommended.rules, 'react-hooks/incompatible-library': 'off' },
  },
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
