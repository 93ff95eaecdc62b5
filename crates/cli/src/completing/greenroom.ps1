# Completion of greenroom for PowerShell, by `greenroom completions powershell`.

Register-ArgumentCompleter -Native -CommandName greenroom -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # No text of the line is run: a word is taken as it is written.
    $words = @()
    foreach ($element in $commandAst.CommandElements) {
        if ($element.Extent.StartOffset -ge $cursorPosition) { break }
        if ($element.Extent.EndOffset -ge $cursorPosition -and $wordToComplete -ne '') { break }
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $words += $element.Value
        } else {
            $words += $element.Extent.Text
        }
    }
    $index = $words.Count
    if ($wordToComplete -ne '') { $words += $wordToComplete.Trim("'", '"') }
    $answer = @(& greenroom __complete powershell $index @words 2>$null)
    if ($LASTEXITCODE -ne 0 -or $answer.Count -eq 0 -or $answer[0] -ne 'values') { return }
    $answer | Select-Object -Skip 1 | ForEach-Object {
        $parts = $_.Split("`t")
        $help = if ($parts.Length -gt 1 -and $parts[1] -ne '') { $parts[1] } else { $parts[0] }
        [System.Management.Automation.CompletionResult]::new($parts[0], $parts[0], 'ParameterValue', $help)
    }
}
